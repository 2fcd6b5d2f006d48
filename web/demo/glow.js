// The light that the picture throws on the page: the picture itself, copied to a
// canvas of a few pixels and stretched behind everything, about once a second.

const EVERY_MS = 900;

export function keepGlow(picture, glow, calm) {
  const context = glow.getContext('2d', { alpha: false });
  const copy = () => { if (!document.hidden && picture.width > 1) context.drawImage(picture, 0, 0, glow.width, glow.height); };
  setTimeout(copy, 60);
  setInterval(() => { if (!calm.matches) copy(); }, EVERY_MS);
}
