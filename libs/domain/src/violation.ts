/** A rule that a decision would break, as a sentence with its numbers. */
export interface Violation {
  rule: string;
  detail: string;
}
