// Checks Amphi's grants in nginx (njs), so that viewers with different grants share one cache. See docs/scale.md.
//
//   /<app>/~<until>-<group>-<tag>/…        tag = first 24 digits of HMAC-SHA-256(secret, "<scope>\n<until>-<group>")
//
// The scope is the channel, or of a mount's recording the path between the grant and the last slash, behind the mount's name.
import crypto from "crypto";

const FORM = /^\/([^/?]+)\/~([0-9]{10})-([0-9a-f]{4})-([0-9a-f]{24})(\/[^?]*)/;

// The path without its grant, if the grant is right and has not ended; else nothing.
function plain(r) {
  const found = FORM.exec(r.variables.request_uri);
  if (!found) return "";
  // njs of Debian 12 knows no destructuring.
  const app = found[1], until = found[2], group = found[3], tag = found[4], path = found[5];
  const mounts = (r.variables.amphi_mounts || "").split(" ");
  const scope = mounts.includes(app) ? app + path.slice(0, path.lastIndexOf("/")) : app;
  const lasts = Number(until) + Number(r.variables.amphi_goes_on_s || 43200);
  if (lasts < Date.now() / 1000) return "";
  if ((r.variables.amphi_revoked || "").split(" ").includes(group)) return "";
  const mac = crypto.createHmac("sha256", r.variables.amphi_grant_secret).update(`${scope}\n${until}-${group}`);
  return mac.digest("hex").slice(0, 24) === tag ? `/${app}${path}` : "";
}

// What an answer depends on; a key in the query makes no other answer.
const KNOWN = /^(wowza)?play(start|duration)=[0-9.]+$|^(t|width)=[0-9.]+$/i;

// The known parameters of the query, with the question mark; else nothing.
function query(r) {
  const known = (r.variables.args || "").split("&").filter((pair) => KNOWN.test(pair)).sort();
  return known.length ? "?" + known.join("&") : "";
}

// The path as it came, with the known parameters: for the origin, which checks the grant, too.
function onward(r) {
  return r.variables.request_uri.split("?")[0] + query(r);
}

export default { plain, query, onward };
