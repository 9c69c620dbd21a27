// A ZIP file of texts, stored as they are: what a thousand credentials are handed over in. APPNOTE.TXT, 4.3.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

function checksum(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 255];
  return (crc ^ 0xffffffff) >>> 0;
}

const UTF8 = 0x0800; // names are UTF-8
const DAY = (46 << 9) | (1 << 5) | 1; // the first of January 2026: a file needs some date

function record(signature, size, numbers) {
  const view = new DataView(new ArrayBuffer(size));
  view.setUint32(0, signature, true);
  for (const [at, bytes, value] of numbers) bytes === 4 ? view.setUint32(at, value, true) : view.setUint16(at, value, true);
  return new Uint8Array(view.buffer);
}

/** files: {path: text}, fewer than 65,536 */
export function zip(files) {
  const encoder = new TextEncoder();
  const parts = [];
  const listed = [];
  let offset = 0;
  for (const [path, text] of Object.entries(files)) {
    const name = encoder.encode(path);
    const body = encoder.encode(text);
    const common = (at) => [[at, 2, 20], [at + 2, 2, UTF8], [at + 8, 2, DAY], [at + 10, 4, checksum(body)], [at + 14, 4, body.length], [at + 18, 4, body.length], [at + 22, 2, name.length]];
    const head = record(0x04034b50, 30, common(4));
    listed.push(record(0x02014b50, 46, [[4, 2, 20], ...common(6), [42, 4, offset]]), name);
    parts.push(head, name, body);
    offset += head.length + name.length + body.length;
  }
  const size = listed.reduce((sum, one) => sum + one.length, 0);
  const count = listed.length / 2;
  const end = record(0x06054b50, 22, [[8, 2, count], [10, 2, count], [12, 4, size], [16, 4, offset]]);
  return new Blob([...parts, ...listed, end]);
}
