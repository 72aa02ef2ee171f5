// The page builds its own nodes from marked's tokens, so only the lexer is shipped.
export { Lexer } from "marked";
