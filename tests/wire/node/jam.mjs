// A session of a JMAP client that knows nothing of the server: lists, imports, queries, flags, follows changes, searches.
// node jam.mjs SESSION_URL TOKEN  <message on standard input>; prints what it saw as JSON.
import { readFileSync } from "node:fs";
import JamClient from "jmap-jam";

const [sessionUrl, bearerToken] = process.argv.slice(2);
const message = readFileSync(0);
const jam = new JamClient({ sessionUrl, bearerToken });
const session = await jam.session;
const accountId = await jam.getPrimaryAccount();
const seen = { username: session.username, accountId };

const [mailboxes] = await jam.api.Mailbox.get({ accountId, ids: null });
seen.roles = mailboxes.list.map((m) => m.role).sort();
const inbox = mailboxes.list.find((m) => m.role === "inbox");

const [before] = await jam.api.Email.get({ accountId, ids: [] });
const blob = await jam.uploadBlob(accountId, new Blob([message], { type: "message/rfc822" }));
seen.uploaded = { size: blob.size, type: blob.type };
const [imported] = await jam.api.Email.import({
  accountId,
  emails: { one: { blobId: blob.blobId, mailboxIds: { [inbox.id]: true }, keywords: {}, receivedAt: "2026-01-02T03:04:05Z" } },
});
const id = imported.created.one.id;

const [{ found, emails }] = await jam.requestMany((t) => {
  const found = t.Email.query({ accountId, filter: { inMailbox: inbox.id }, sort: [{ property: "receivedAt", isAscending: false }], limit: 10 });
  const emails = t.Email.get({ accountId, ids: found.$ref("/ids"), properties: ["id", "subject", "from", "keywords", "receivedAt", "blobId", "preview"] });
  return { found, emails };
});
seen.found = found.ids.includes(id);
seen.email = emails.list.find((e) => e.id === id);

const [flagged] = await jam.api.Email.set({ accountId, update: { [id]: { "keywords/$flagged": true } } });
seen.flagged = Object.keys(flagged.updated).includes(id);
const [changes] = await jam.api.Email.changes({ accountId, sinceState: before.state });
seen.changes = { created: changes.created.includes(id), updated: changes.updated.includes(id), state: changes.newState === flagged.newState };
const [search] = await jam.api.Email.query({ accountId, filter: { text: "quokka" } });
seen.search = search.ids;
const download = await jam.downloadBlob({ accountId, blobId: seen.email.blobId, mimeType: "message/rfc822", fileName: "m.eml" });
seen.downloaded = Buffer.from(await download.arrayBuffer()).equals(message);
const [gone] = await jam.api.Email.set({ accountId, destroy: [id] });
seen.destroyed = gone.destroyed.includes(id);
console.log(JSON.stringify({ ...seen, id }));
