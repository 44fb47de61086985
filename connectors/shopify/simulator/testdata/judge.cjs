// Asks Shopify's own SDK whether webhooks are genuine. Reads a JSON list of
// {body, headers} from stdin, writes the SDK's verdicts to stdout.
require('@shopify/shopify-api/adapters/node');
const { shopifyApi, ApiVersion, LogSeverity } = require('@shopify/shopify-api');

const shopify = shopifyApi({
  apiKey: 'key', apiSecretKey: process.env.SECRET, hostName: 'app.example',
  apiVersion: Object.values(ApiVersion).pop(), isEmbeddedApp: false, logger: { level: LogSeverity.Error, log: () => {} },
});

async function main() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const verdicts = [];
  for (const { body, headers } of JSON.parse(Buffer.concat(chunks).toString('utf8'))) {
    const verdict = await shopify.webhooks.validate({
      rawBody: body, rawRequest: { headers, method: 'POST', url: '/' }, rawResponse: {},
    });
    verdicts.push(verdict);
  }
  process.stdout.write(JSON.stringify(verdicts));
}

main().catch((error) => { console.error(error); process.exit(1); });
