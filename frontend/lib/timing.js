// How long the live view waits, in milliseconds.
export const TIMING = {
  /** Between the beginnings of two refreshes: a burst of events is shown together. */
  refreshGap: 500,
  /** From a lost stream to the first question without it, and between the following ones. */
  firstPoll: 2_000,
  poll: 15_000,
  /** After a refresh that failed, or a question who is signed in. */
  retry: 5_000,
  /** The first pause before connecting again; it doubles, with chance, up to the longest. */
  backoff: 500,
  longestBackoff: 30_000,
  /** A stream that ends by itself sooner than this was not served in earnest. */
  shortest: 2_000,
  /** So long after somebody touched the page, what it asks for counts as theirs, and a pointer holds the list it rests on. */
  presence: 60_000,
  /** Nothing at all for so long: the service sends a sign of life every 15 seconds. */
  silence: 40_000,
};
