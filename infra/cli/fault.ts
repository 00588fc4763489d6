/** Something that the user has to put right: printed as words, without a stack. */
export class CliFault extends Error {}
