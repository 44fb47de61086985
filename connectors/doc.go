// Package connectors holds the doors to other systems: the capability
// interfaces that activities know systems by. A vendor lives in a folder of
// its own below this one and sees connectors, httpx, batch and schema, never
// another vendor, the store or Temporal.
//
// A connector is a value, not a registration side effect. It implements
// Connector and as many capabilities as its system can do; a missing method is
// the answer "unsupported".
package connectors
