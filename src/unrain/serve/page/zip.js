// A zip archive out of blobs, stored as they are: photos and videos do not get smaller.
// Format: PKWARE's APPNOTE.TXT 6.3, without ZIP64, so up to 4 GB.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

export async function zip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, blob } of files) {
    const title = new TextEncoder().encode(name);
    const facts = [[4, await checksum(blob)], [4, blob.size], [4, blob.size], [2, title.length], [2, 0]];
    // version 2.0, names in UTF-8 (bit 11), stored, 1980-01-01
    const common = [[2, 20], [2, 0x0800], [2, 0], [2, 0], [2, 0x21], ...facts];
    const head = bytes([[4, 0x04034b50], ...common]);
    parts.push(head, title, blob);
    directory.push(bytes([[4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]), title);
    offset += head.length + title.length + blob.size;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  if (offset + size > 0xffffffff) throw new Error("More than 4 GB do not fit into one archive; download them one by one.");
  const count = files.length;
  const end = bytes([[4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, offset], [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

// Names of files that go into one folder: each once.
export function distinct(names) {
  const seen = new Map();
  return names.map((name) => {
    const count = (seen.get(name.toLowerCase()) ?? 0) + 1;
    seen.set(name.toLowerCase(), count);
    return count === 1 ? name : name.replace(/(\.[^.]*)?$/, `-${count}$1`);
  });
}

async function checksum(blob) {
  let value = 0xffffffff;
  const reader = blob.stream().getReader();
  for (let { done, value: chunk } = await reader.read(); !done; { done, value: chunk } = await reader.read()) {
    for (const byte of chunk) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  }
  return (value ^ 0xffffffff) >>> 0;
}

function bytes(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    size === 2 ? view.setUint16(at, value, true) : view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}
