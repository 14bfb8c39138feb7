/**
 * Light, dark, or as the system has it. `first.js` sets it before anything is drawn.
 *
 * @module
 */

/** @typedef {'system' | 'light' | 'dark'} Theme */

const KEY = 'leveret.theme';

/** @returns {Theme} */
export function theme() {
  const kept = remembered(KEY);
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

/** @param {Theme} wanted */
export function setTheme(wanted) {
  remember(KEY, wanted === 'system' ? null : wanted);
  if (wanted === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = wanted;
}

/**
 * What this browser remembers: no secrets, and nothing at all where it may not.
 *
 * @param {string} key
 * @returns {string | null}
 */
export function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {string | null} value
 */
export function remember(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // The choice lasts as long as the page.
  }
}
