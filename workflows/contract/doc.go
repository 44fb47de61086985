// Package contract is the leaf that api, worker, commands and workflows agree
// on: workflow names and ids, task queues, signals, updates, queries, search
// attributes and their payloads. It imports no workflow code, so the API can
// start and steer workflows without linking them.
//
// Payloads carry ids, counts and codes, never content: histories hold no
// personal data and no secrets (promise 7, TestPromise7).
package contract
