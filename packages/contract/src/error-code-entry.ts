/** What a stable error code says: its HTTP status, where it can be an answer, its meaning, and what to do. */
export interface ErrorCodeEntry {
  readonly status?: number;
  readonly meaning: string;
  readonly remedy: string;
}
