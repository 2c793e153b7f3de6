// Checks one receipt in Node or a browser, with Web Crypto alone: node verify_proof.mjs VKEY PROOF ENTRY
const { readFile } = await import("node:fs/promises");
const [vkey, proofFile, entryFile] = process.argv.slice(2);
const unb64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const join = (...parts) => new Uint8Array(parts.flatMap((part) => [...part]));
const sha = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", join(...parts)));
const same = (a, b) => a.length === b.length && a.every((byte, n) => byte === b[n]);
const must = (good, why) => { if (!good) { console.error("refused:", why); process.exit(1); } };
const text = await readFile(proofFile, "utf8"), cut = text.indexOf("\n\n"), end = text.lastIndexOf("\n\n") + 1;
const [first, ...lines] = text.slice(0, cut).split("\n").filter((line) => !line.startsWith("extra "));
const index = BigInt(/^index (0|[1-9]\d*)$/.exec(lines.shift() ?? "")?.[1] ?? -1), body = text.slice(cut + 2, end);
const [origin, size, root] = body.split("\n"), [name, , ...key] = vkey.split("+"), public_ = unb64(key.join("+"));
must(first === "c2sp.org/tlog-proof@v1" && index >= 0n && index < BigInt(size) && origin === name, "no proof of that log");
const id = (await sha(new TextEncoder().encode(name + "\n"), public_)).slice(0, 4), utf8 = new TextEncoder().encode(body);
const mine = text.slice(end + 1).split("\n").map((l) => l.split(" ")).filter((l) => l[1] === name).map((l) => unb64(l[2]));
const verifier = await crypto.subtle.importKey("raw", public_.slice(1), "Ed25519", false, ["verify"]);
const good = await Promise.all(mine.filter((s) => same(s.slice(0, 4), id)).map((s) => crypto.subtle.verify("Ed25519", verifier, s.slice(4), utf8)));
must(good.length > 0 && good.every(Boolean), "the log's key has not signed the checkpoint");
let at = index, last = BigInt(size) - 1n, hash = await sha([0], await readFile(entryFile));
for (const sibling of lines.map(unb64)) {
  must(last > 0n && sibling.length === 32, "the path is too long");
  const left = at % 2n === 1n || at === last;
  hash = left ? await sha([1], sibling, hash) : await sha([1], hash, sibling);
  while (left && at > 0n && at % 2n === 0n) { at /= 2n; last /= 2n; }
  at /= 2n; last /= 2n;
}
must(last === 0n && same(hash, unb64(root)), "the entry is not at that place of the log");
console.log("verified", index, "of", size);
