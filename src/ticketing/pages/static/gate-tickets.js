// What a scanned text is: a serial, or the signed payload TK1.KEY.SERIAL.EVENT.ISSUE.SIGNATURE (docs/tickets.md).
const PAYLOAD = /^(TK1\.([A-Z2-7]{8})\.([0-9A-Z]{6}-[0-9A-Z]{12})\.([1-9][0-9]{0,15})\.([1-9][0-9]{0,11}))\.([A-Z2-7]{103})$/;
const SERIAL = /^[0-9A-Z]{6}-[0-9A-Z]{12}$/;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export function parse(text) {
  const typed = text.trim().toUpperCase();
  const match = PAYLOAD.exec(typed);
  if (match) {
    const [, signed, key, serial, event, issue, signature] = match;
    return { text: typed, serial, event, issue: Number(issue), key, signed, signature: unpack(signature) };
  }
  return SERIAL.test(typed) ? { text: typed, serial: typed } : null;
}

function unpack(letters) {
  const bytes = [];
  let bits = 0;
  let value = 0;
  for (const letter of letters) {
    value = (value << 5) | LETTERS.indexOf(letter);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 255);
      value &= (1 << bits) - 1;
    }
  }
  return new Uint8Array(bytes);
}

// true, false, or null where this browser cannot tell (it knows no Ed25519) or the key is unknown.
export async function isSigned(read, keys) {
  const key = keys.find((one) => one.kid === read.key);
  if (!key) return null;
  try {
    const known = await crypto.subtle.importKey("jwk", { kty: key.kty, crv: key.crv, x: key.x }, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", known, read.signature, new TextEncoder().encode(read.signed));
  } catch {
    return null;
  }
}
