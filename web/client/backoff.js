/**
 * When to connect again: a first try within 500 ms, then full jitter over 1, 2,
 * 4 … 30 s. Full jitter keeps a million clients of a restarted gateway from
 * coming back in step.
 */

const FIRST_MS = 500;
const BASE_MS = 1_000;
const CEILING_MS = 30_000;

/** Delay before attempt `attempt` (from 1), in whole ms. */
export function backoffMs(attempt, random) {
  const span = attempt <= 1 ? FIRST_MS : Math.min(CEILING_MS, BASE_MS * 2 ** Math.min(attempt - 2, 16));
  return Math.floor(random() * (span + 1));
}

/** Whether the protocol says not to come back after this close code. */
export function isFinalClose(code) {
  return code >= 4500 && code <= 4999;
}
