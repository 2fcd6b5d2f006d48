/** Measures texts and paints them into bitmaps. Lengths are device pixels. */
import { RANK } from './entry.js';

/** Heights of letters in CSS pixels. */
const FONT_PX = { small: 18, medium: 24, large: 36 };
/** Height of a line in heights of letters: a medium text fills a lane of 30 px. */
const LINE = 1.25;
const EMOTE = 1.2;
const BITMAP_WIDTH_MAX = 8_192;
const PAID_BACKGROUND = 'rgba(196, 114, 10, 0.85)';

export class Painter {
  /** Height of a lane. */
  laneHeight = 1;
  /** Rises with each change of the font; layouts carry it. */
  generation = 0;
  /** Device pixels per CSS pixel, times the font scale; 0 before the first font. */
  scale = 0;
  #context;
  #emotes;
  #family = 'sans-serif';
  #font = '';

  /** `context` is only measured with. */
  constructor(context, emotes) {
    this.#context = context;
    this.#emotes = emotes;
  }

  /** Layouts of an older generation are void afterwards. */
  setFont(family, scale) {
    this.#family = family;
    this.scale = scale;
    this.#font = '';
    this.generation += 1;
    this.laneHeight = Math.max(1, Math.round(FONT_PX.medium * LINE * scale));
  }

  /** {key, width, height, fontPx, pad, segments, generation}: all that painting needs. */
  layout(entry) {
    const fontPx = Math.max(6, Math.round(FONT_PX[entry.size] * this.scale));
    this.#setFont(fontPx);
    const pad = Math.ceil(fontPx * (entry.rank >= RANK.paid ? 0.35 : 0.15));
    const segments = this.#fit(this.#segments(entry), fontPx, BITMAP_WIDTH_MAX - 2 * pad);
    const width = Math.ceil(segments.reduce((sum, segment) => sum + segment.width, 2 * pad));
    const urls = segments.map((segment) => segment.emote?.url ?? '').join(' ').trim();
    return {
      key: [entry.text, entry.color, fontPx, decorOf(entry), width, urls].join('\u0000'),
      width,
      height: Math.ceil(fontPx * LINE),
      fontPx,
      pad,
      segments,
      generation: this.generation,
    };
  }

  /** Paints the entry; `again()` is called when a missing picture has arrived. */
  paint(context, { layout, color, rank }, again) {
    const { fontPx, height } = layout;
    const outline = Math.max(2, Math.round(fontPx / 9));
    if (rank >= RANK.paid) paintBox(context, layout, rank, color);
    context.font = this.#fontOf(fontPx);
    context.textBaseline = 'middle';
    context.lineJoin = 'round';
    context.lineWidth = outline;
    context.strokeStyle = isDark(color) ? 'rgba(255, 255, 255, 0.75)' : 'rgba(0, 0, 0, 0.75)';
    context.fillStyle = color;
    let x = layout.pad;
    const middle = Math.round(height / 2) + 1;
    for (const segment of layout.segments) {
      const image = segment.emote && this.#emotes.image(segment.emote.url, again);
      if (image) paintImage(context, image, x, segment.width, height);
      else {
        // A picture that is not there is its code, squeezed into its place.
        const widthMax = segment.emote ? segment.width : undefined;
        const place = widthMax === undefined ? [x, middle] : [x, middle, widthMax];
        context.strokeText(segment.text, ...place);
        context.fillText(segment.text, ...place);
      }
      x += segment.width;
    }
  }

  #segments({ text, emotes }) {
    const byCode = new Map();
    for (const emote of emotes) {
      if (typeof emote?.code === 'string' && emote.code !== '' && this.#emotes.accepts(emote.url)) {
        byCode.set(emote.code, emote);
      }
    }
    if (byCode.size === 0) return [{ text }];
    const codes = [...byCode.keys()].sort((a, b) => b.length - a.length).map(escaped);
    return text
      .split(new RegExp(`(${codes.join('|')})`, 'u'))
      .filter((piece) => piece !== '')
      .map((piece) => ({ text: piece, emote: byCode.get(piece) }));
  }

  /** Gives each segment its width; cuts what a bitmap could not hold. */
  #fit(segments, fontPx, widthMax) {
    const fitted = [];
    let left = widthMax;
    for (const { text, emote } of segments) {
      const width = emote ? emoteWidth(emote, fontPx) : this.#context.measureText(text).width;
      if (width <= left) fitted.push({ text, emote, width });
      else if (!emote) fitted.push({ text: cut(text, left / width), width: left });
      left -= width;
      if (left <= 0) break;
    }
    return fitted;
  }

  #setFont(fontPx) {
    const font = this.#fontOf(fontPx);
    // Parsing a font is slow, and nearly all texts have the same.
    if (font !== this.#font) this.#context.font = this.#font = font;
  }

  #fontOf(fontPx) {
    return `600 ${fontPx}px ${this.#family}`;
  }
}

function decorOf({ rank }) {
  return rank >= RANK.paid ? rank : 0;
}

function paintBox(context, { width, height }, rank, color) {
  const radius = height / 4;
  context.beginPath();
  context.roundRect(1, 1, width - 2, height - 2, radius);
  if (rank === RANK.paid) {
    context.fillStyle = PAID_BACKGROUND;
    context.fill();
  } else {
    context.lineWidth = 2;
    context.strokeStyle = color;
    context.stroke();
  }
}

/** As large as the place allows, in its own proportions. */
function paintImage(context, image, x, width, height) {
  const naturalWidth = image.naturalWidth || width;
  const naturalHeight = image.naturalHeight || height;
  const scale = Math.min(width / naturalWidth, height / naturalHeight);
  const drawnWidth = naturalWidth * scale;
  const drawnHeight = naturalHeight * scale;
  context.drawImage(image, x + (width - drawnWidth) / 2, (height - drawnHeight) / 2, drawnWidth, drawnHeight);
}

function emoteWidth({ width, height }, fontPx) {
  const ratio = width > 0 && height > 0 ? Math.min(4, Math.max(0.25, width / height)) : 1;
  return Math.ceil(fontPx * EMOTE * ratio);
}

function cut(text, share) {
  const characters = [...text];
  return `${characters.slice(0, Math.max(0, Math.floor(characters.length * share) - 1)).join('')}…`;
}

function escaped(code) {
  return code.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function isDark(color) {
  const channel = (from) => Number.parseInt(color.slice(from, from + 2), 16);
  // Rec. 601 luma, 0 to 255.
  return 0.299 * channel(1) + 0.587 * channel(3) + 0.114 * channel(5) < 60;
}
