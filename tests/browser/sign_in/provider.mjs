// npm's oidc-provider as the provider of people, with its own forms: whoever signs in as NAME is NAME, any password is right.
//
//   node provider.mjs
//
// Prints its issuer, waits for a line with the callback's URL, and prints `ready`. Ends with its standard input.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { once } from "node:events";

const groups = { ada: ["staff", "video"], bob: ["staff"], eve: ["students"] };

const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const issuer = `http://127.0.0.1:${server.address().port}`;
console.log(issuer);

const lines = createInterface({ input: process.stdin });
const [callback] = await once(lines, "line");
// What it warns of are its keys, which are its own.
console.warn = () => {};
console.info = () => {};
const { default: Provider } = await import("oidc-provider");
const provider = new Provider(issuer, {
  clients: [{
    client_id: "amphi", client_secret: "a secret: with %", redirect_uris: [callback], post_logout_redirect_uris: [callback],
  }],
  claims: { openid: ["sub"], profile: ["name", "groups"] },
  cookies: { keys: ["a key of this test"] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id, claims: () => ({ sub: id, name: `${id[0].toUpperCase()}${id.slice(1)} Müller`, groups: groups[id] ?? [] }),
  }),
});
server.on("request", provider.callback());
console.log("ready");
await once(lines, "close");
process.exit(0);
