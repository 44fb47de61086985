// Asks Shopify's own SDK whether webhooks are genuine. Reads a JSON list of
// {headers, body} from stdin and prints a list of {valid, reason, topic,
// domain, webhookId}. argv[2]: the folder where the SDK is installed;
// argv[3]: the app's secret.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const need = createRequire(join(process.argv[2], 'package.json'));
need('@shopify/shopify-api/adapters/node');
const { shopifyApi, LogSeverity } = need('@shopify/shopify-api');

const shopify = shopifyApi({
  apiKey: 'key', apiSecretKey: process.argv[3], scopes: ['read_orders'], hostName: 'hooks.example',
  apiVersion: '2026-07', isEmbeddedApp: false, logger: { level: LogSeverity.Error },
});

let input = '';
for await (const chunk of process.stdin) input += chunk;
const out = [];
for (const { headers, body } of JSON.parse(input)) {
  const r = await shopify.webhooks.validate({ rawBody: body, rawRequest: { method: 'POST', url: '/', headers }, rawResponse: {} });
  out.push({ valid: r.valid, reason: r.reason ?? '', topic: r.topic ?? '', domain: r.domain ?? '', webhookId: r.webhookId ?? '' });
}
console.log(JSON.stringify(out));
