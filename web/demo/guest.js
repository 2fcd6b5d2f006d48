// The nickname: asked for, remembered, or made up on the first visit.
import { lang } from '../i18n.js';
import { load, save } from './storage.js';

const KEY = 'barrage.name';
const LENGTH_MAX = 24;
const ANIMALS = { en: ['Otter', 'Heron', 'Lynx', 'Puffin', 'Marten', 'Seal', 'Swift', 'Fox'], zh: ['海獭', '苍鹭', '山猫', '海鹦', '貂', '海豹', '雨燕', '狐狸'] };

/** A name to show: `asked` if there is one, and that one is remembered. */
export function guestName(asked) {
  const name = asked?.trim() || load(KEY, '') || madeUp();
  const short = [...String(name)].slice(0, LENGTH_MAX).join('');
  save(KEY, short);
  return short;
}

function madeUp() {
  const animals = ANIMALS[lang()];
  return `${animals[Math.floor(Math.random() * animals.length)]} ${100 + Math.floor(Math.random() * 900)}`;
}
