// Asks the JavaScript library of Standard Webhooks whether requests are genuine.
// Reads a JSON list of {secret, headers, body} from stdin, prints a list of
// booleans. argv[2]: the folder where the library is installed.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { Webhook } = createRequire(join(process.argv[2], 'package.json'))('standardwebhooks');

let input = '';
for await (const chunk of process.stdin) input += chunk;
console.log(JSON.stringify(JSON.parse(input).map(({ secret, headers, body }) => {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch (e) {
    if (e.name !== 'WebhookVerificationError') throw e;
    return false;
  }
})));
