/** How an answer is built, by the endpoint that was asked. */
export type AnswerForm = "responses" | "chat" | "native-chat" | "messages" | "completions";
