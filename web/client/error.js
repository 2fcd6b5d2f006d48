/** A refusal by the server, or by the client itself (`unavailable`, `busy`). */
export class BarrageError extends Error {
  constructor(code, message = code, retryAfterMs = undefined) {
    super(message);
    this.name = 'BarrageError';
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** The error in a frame of type `error`. */
  static fromFrame(frame) {
    return new BarrageError(
      typeof frame.code === 'string' ? frame.code : 'internal',
      typeof frame.message === 'string' ? frame.message : undefined,
      Number.isFinite(frame.retry_after_ms) ? frame.retry_after_ms : undefined,
    );
  }

  /** The plain form that events carry. */
  toRefusal() {
    return { code: this.code, message: this.message, retryAfterMs: this.retryAfterMs };
  }
}
