// An OAuth client that knows nothing of the server but its issuer: discovery, code with PKCE, refresh, introspection, revocation,
// device.
// node oauth.mjs ISSUER CLIENT_ID CLIENT_SECRET REDIRECT_URI SCOPE
// What a person has to do is printed as a line of JSON; for the code, the line on standard input is where the browser ended.
import { createInterface } from "node:readline";
import * as oauth from "oauth4webapi";

const [base, client_id, secret, redirect_uri, scope] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const tell = (message) => console.log(JSON.stringify(message));
const issuer = new URL(base);
const client = { client_id };
const clientAuth = oauth.ClientSecretBasic(secret);
const seen = {};

const discover = async (algorithm) =>
  oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm }));
seen.plain = (await discover("oauth2")).issuer;
const as = await discover("oidc");

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
const authorize = new URL(as.authorization_endpoint);
const asked = {
  client_id,
  redirect_uri,
  response_type: "code",
  scope,
  state,
  nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
};
for (const [name, value] of Object.entries(asked)) authorize.searchParams.set(name, value);
tell({ visit: authorize.href });
const ended = new URL((await lines.next()).value);

// Checks state, and iss of RFC 9207.
const parameters = oauth.validateAuthResponse(as, client, ended, state);
const granted = await oauth.processAuthorizationCodeResponse(
  as,
  client,
  await oauth.authorizationCodeGrantRequest(as, client, clientAuth, parameters, redirect_uri, verifier),
  { expectedNonce: nonce, requireIdToken: true },
);
const claims = oauth.getValidatedIdTokenClaims(granted);
seen.claims = { sub: claims.sub, aud: claims.aud, iss: claims.iss };

const info = await oauth.processUserInfoResponse(
  as,
  client,
  claims.sub,
  await oauth.userInfoRequest(as, client, granted.access_token),
);
seen.email = info.email;
const resource = async (token) =>
  (await oauth.protectedResourceRequest(token, "GET", new URL("/.well-known/jmap", base))).json();
seen.username = (await resource(granted.access_token)).username;

const refreshed = await oauth.processRefreshTokenResponse(
  as,
  client,
  await oauth.refreshTokenGrantRequest(as, client, clientAuth, granted.refresh_token),
);
seen.rotated = refreshed.refresh_token !== granted.refresh_token;

const introspect = async (token) =>
  oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, clientAuth, token));
const told = await introspect(refreshed.access_token);
seen.told = { active: told.active, username: told.username, client_id: told.client_id };
await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, clientAuth, refreshed.refresh_token),
);
seen.afterRevocation = (await introspect(refreshed.access_token)).active;

const device = await oauth.processDeviceAuthorizationResponse(
  as,
  client,
  await oauth.deviceAuthorizationRequest(as, client, clientAuth, { scope }),
);
const poll = async () =>
  oauth.processDeviceCodeResponse(
    as,
    client,
    await oauth.deviceCodeGrantRequest(as, client, clientAuth, device.device_code),
  );
seen.waiting = await poll().then(
  () => "tokens",
  (error) => error.error,
);
tell({ visit: device.verification_uri_complete, code: device.user_code });
await lines.next();
await new Promise((done) => setTimeout(done, device.interval * 1000));
seen.device = (await resource((await poll()).access_token)).username;
tell({ seen });
process.exit(0);
