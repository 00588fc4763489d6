/** Parts of LM Studio's documentation that facts of several files are from. */
export const rest = "docs 1_developer/2_rest";
export const openai = "docs 1_developer/3_openai-compat";
