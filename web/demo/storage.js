// What this browser remembers. Storage may be full, broken or forbidden: then
// nothing is remembered, and nothing else happens.

export function load(key, otherwise) {
  try { return JSON.parse(localStorage.getItem(key)) ?? otherwise; } catch { return otherwise; }
}

export function save(key, value) {
  try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* see above */ }
}
