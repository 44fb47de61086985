// Receive Towpath's webhooks. Node 18+, no packages.
//
//   PROFILE=standard SECRETS="whsec_..." PORT=8090 node receive.mjs
import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';
import { createServer } from 'node:http';

const TOLERANCE = 300; // seconds
const MAX_BODY = 5 << 20;

// Whether the raw body (a Buffer) comes from Towpath. Names of headers are lower case.
export function genuine(profile, secrets, headers, body) {
  const header = (name) => headers[name] ?? '';
  const any = (check) => secrets.map(check).includes(true);
  switch (profile) {
    case 'standard':
    case 'standard-v1a': {
      const sentAt = header('webhook-timestamp');
      const message = Buffer.concat([Buffer.from(`${header('webhook-id')}.${sentAt}.`), body]);
      const version = profile === 'standard' ? 'v1,' : 'v1a,';
      const signatures = header('webhook-signature').split(' ').filter((s) => s.startsWith(version)).map((s) => s.slice(version.length));
      const matches = profile === 'standard' ? hmacMatches : ed25519Matches;
      return fresh(sentAt) && any((secret) => signatures.map((s) => matches(secret, message, s)).includes(true));
    }
    case 'odoo-s0':
      return any((secret) => same(hexHmac(secret, body), header('x-odoo-webhook-signature')));
    case 'odoo-s1': {
      const sentAt = header('x-timestamp');
      return fresh(sentAt) && any((secret) => same(hexHmac(secret, Buffer.from(sentAt), body), header('x-signature')));
    }
    case 'odoo-s3':
      return any((secret) => same(`Bearer ${secret}`, header('authorization')));
  }
  throw new Error(profile);
}

const fresh = (sentAt) => /^\d{1,11}$/.test(sentAt) && Math.abs(Date.now() / 1000 - Number(sentAt)) <= TOLERANCE;

function same(a, b) {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

function hexHmac(secret, ...parts) {
  const mac = createHmac('sha256', secret);
  parts.forEach((p) => mac.update(p));
  return mac.digest('hex');
}

function hmacMatches(secret, message, signature) {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return same(createHmac('sha256', key).update(message).digest('base64'), signature);
}

function ed25519Matches(publicKey, message, signature) {
  const x = Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64').toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return verify(null, message, key, Buffer.from(signature, 'base64'));
}

async function receive(request, response) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    if ((size += chunk.length) > MAX_BODY) return response.writeHead(413, { connection: 'close' }).end();
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks); // check these bytes: with Express, express.raw({ type: '*/*' })
  if (!genuine(process.env.PROFILE, process.env.SECRETS.split(' '), request.headers, body)) return response.writeHead(401).end();
  // Keep the event and its webhook-id in one transaction, work on it later.
  // An id that is there already was delivered twice: answer 2xx, do nothing.
  console.log('received', request.headers['webhook-id'], Object.keys(JSON.parse(body)).length);
  response.writeHead(204).end();
}

// A sender that goes away in the middle of a body must not end the process.
createServer((request, response) => receive(request, response).catch(() => response.destroy()))
  .listen(Number(process.env.PORT ?? 8090), '127.0.0.1');
