package webhook

import "regexp"

// Redacted stands where a secret was.
const Redacted = "[redacted]"

var secretName = regexp.MustCompile(`(?i)(authorization|cookie|token|secret|passw|api[-_]?key|signature|hmac|credential|session|private[-_]?key)`)

// IsSecretName tells from the name of a header or field that its value is secret.
func IsSecretName(name string) bool { return secretName.MatchString(name) }
