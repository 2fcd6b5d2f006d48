/**
 * Pictures inside texts. Only from where the page itself comes from: a picture
 * of elsewhere would tell a stranger every viewer's address.
 */

const IMAGES_MAX = 128;
const WAITING_MAX = 64;

/** The address to load, or undefined when it is none of ours. */
export function emoteUrl(url, pageUrl) {
  if (typeof url !== 'string' || url === '') return undefined;
  try {
    const page = pageUrl === undefined ? undefined : new URL(pageUrl);
    const target = new URL(url, page);
    if (target.protocol === 'data:') return /^data:image\//i.test(target.href) ? target.href : undefined;
    if (target.protocol === 'blob:') return target.href;
    const isOurs = page !== undefined && page.origin !== 'null' && target.origin === page.origin;
    return isOurs ? target.href : undefined;
  } catch {
    return undefined;
  }
}

export class Emotes {
  /** By address, the longest unused first. */
  #images = new Map();
  #createImage;
  #pageUrl;

  constructor(createImage, pageUrl) {
    this.#createImage = createImage;
    this.#pageUrl = pageUrl;
  }

  /** Whether the picture could be shown at all. */
  accepts(url) {
    return emoteUrl(url, this.#pageUrl) !== undefined;
  }

  /** The picture when it is there; otherwise `arrived()` is called once it is. */
  image(url, arrived) {
    const href = emoteUrl(url, this.#pageUrl);
    if (href === undefined) return undefined;
    const entry = this.#images.get(href) ?? this.#load(href);
    this.#images.delete(href);
    this.#images.set(href, entry);
    if (entry.isLoaded) return entry.image;
    if (entry.waiting.length < WAITING_MAX) entry.waiting.push(arrived);
    return undefined;
  }

  clear() {
    this.#images.clear();
  }

  #load(href) {
    const image = this.#createImage();
    const entry = { image, isLoaded: false, waiting: [] };
    image.onload = () => {
      entry.isLoaded = true;
      for (const arrived of entry.waiting.splice(0)) arrived();
    };
    image.onerror = () => {
      entry.waiting.length = 0;
    };
    image.src = href;
    if (this.#images.size >= IMAGES_MAX) this.#images.delete(this.#images.keys().next().value);
    return entry;
  }
}
