/** What this browser remembers for its user. Storage may be switched off: then nothing is remembered. */

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`shopfloor.${key}`);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`shopfloor.${key}`, value);
  } catch {
    // a private window or a full storage: the choice lasts until the page is closed
  }
}
