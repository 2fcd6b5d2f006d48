// Likes: the button, its count that never runs backwards, and the hearts that
// float up from it, for own likes and for a sample of everybody else's.
import { number } from '../i18n.js';

const HEARTS_MAX = 24;
const OTHERS_MAX = 6; // hearts per tick for the likes of others
const TINTS = ['#ff5f8f', '#ff8fb4', '#ffb35c', '#c58bff', '#6fd6ff', '#54e0b8'];

export class Likes {
  #button; #count; #sky; #onLike; #shown = 0;

  constructor({ button, count, sky, onLike }) {
    this.#button = button;
    this.#count = count;
    this.#sky = sky;
    this.#onLike = onLike;
    button.addEventListener('click', () => this.like());
    document.addEventListener('keydown', (event) => {
      const typing = event.target.closest?.('input, textarea, select, dialog, [contenteditable]');
      if (event.key.toLowerCase() !== 'l' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      this.like();
    });
  }

  like() {
    this.#onLike(1);
    this.#show(this.#shown + 1);
    this.#float();
    this.#button.classList.remove('beat');
    void this.#button.offsetWidth; // starts the beat again
    this.#button.classList.add('beat');
  }

  /** The room's total, as told by the server. `fresh` on a new join: no hearts. */
  told(total, { fresh = false, tickMs = 1000 } = {}) {
    if (!Number.isFinite(total)) return;
    const others = total - this.#shown;
    if (!fresh && others <= 0) return; // own likes not counted yet
    this.#show(total);
    if (fresh) return;
    const hearts = Math.min(others, OTHERS_MAX);
    for (let heart = 0; heart < hearts; heart += 1) setTimeout(() => this.#float(), (heart / hearts) * tickMs);
  }

  /** Writes the count anew, after the language has changed. */
  refresh() { this.#show(this.#shown); }

  #show(total) {
    this.#shown = total;
    this.#count.textContent = number(total);
  }

  #float() {
    if (document.hidden || this.#sky.children.length >= HEARTS_MAX) return;
    const heart = document.createElement('i');
    heart.className = 'heart';
    heart.style.setProperty('--tint', TINTS[Math.floor(Math.random() * TINTS.length)]);
    heart.style.setProperty('--sway', `${Math.round(Math.random() * 60 - 40)}px`);
    heart.style.setProperty('--lean', `${Math.round(Math.random() * 40 - 20)}deg`);
    heart.addEventListener('animationend', () => heart.remove());
    this.#sky.append(heart);
  }
}
