package jobs

import (
	"maps"
	"time"

	"towpath/schema/record"
)

// Merged is what a three-way merge decides, field by field.
type Merged struct {
	ToTarget record.Values // write these to the target
	ToSource record.Values // write these to the source; of a one-way job see Leave
	// Conflicts wait for a person, in the order of the fields.
	Conflicts []Conflict
	// Base is the next snapshot, once both sides hold what was decided. Of a
	// field in conflict it keeps the last one, so that the conflict stays until
	// somebody makes both sides equal.
	Base record.Values
}

// Conflict is a field that both sides changed, and nobody may decide.
type Conflict struct {
	Field                string
	Base, Source, Target any
}

// Merge compares both sides with base, their last common snapshot, over the
// fields named. A side changed a field when its value is not the base's; nil
// and absent are the same. Per field:
//
//   - equal on both sides: nothing to do, whoever changed it;
//   - with an owner: the owner's value goes to the other side;
//   - changed on one side: it goes to the other;
//   - changed on both: the policy decides. newest_wins goes by when the systems
//     say that they changed the record; without both times, or with equal ones,
//     and under any policy that is not known, a person decides, since a guess
//     would overwrite somebody's work.
//
// A nil base is the first contact: what one side lacks is filled in from the
// other, and where both have a value the policy decides.
func Merge(
	base, source, target record.Values, fields []string,
	policy Policy, owners map[string]string, sourceChanged, targetChanged time.Time,
) Merged {
	m := Merged{ToTarget: record.Values{}, ToSource: record.Values{}, Base: maps.Clone(base)}
	if m.Base == nil {
		m.Base = record.Values{}
	}
	winner := policy.winner(sourceChanged, targetChanged)
	seen := map[string]bool{}
	for _, field := range fields {
		if seen[field] {
			continue
		}
		seen[field] = true
		b, s, t := base[field], source[field], target[field]
		side := winner
		switch {
		case record.Equal(s, t):
			m.Base[field] = s
			continue
		case owners[field] != "":
			side = owners[field]
		case record.Equal(t, b):
			side = SourceSide
		case record.Equal(s, b):
			side = TargetSide
		}
		switch side {
		case SourceSide:
			m.ToTarget[field], m.Base[field] = s, s
		case TargetSide:
			m.ToSource[field], m.Base[field] = t, t
		default:
			m.Conflicts = append(m.Conflicts, Conflict{Field: field, Base: b, Source: s, Target: t})
		}
	}
	return m
}

// Leave lets the target keep fields that it changed by itself: those that no way
// leads back from, of a job of one way all of ToSource. base is the one that was
// merged: they keep its values, as the sides have not met, and a snapshot with the
// target's would make the next run take the source's old value for a change.
func (m Merged) Leave(base, fields record.Values) Merged {
	m.Base, m.ToSource = maps.Clone(m.Base), maps.Clone(m.ToSource)
	for field := range fields {
		if value, had := base[field]; had {
			m.Base[field] = value
		} else {
			delete(m.Base, field)
		}
		delete(m.ToSource, field)
	}
	return m
}

// winner is the side that wins what both changed; "" leaves it to a person.
func (p Policy) winner(sourceChanged, targetChanged time.Time) string {
	switch p {
	case SourceWins:
		return SourceSide
	case TargetWins:
		return TargetSide
	case NewestWins:
		switch {
		case sourceChanged.IsZero() || targetChanged.IsZero():
			return ""
		case sourceChanged.After(targetChanged):
			return SourceSide
		case targetChanged.After(sourceChanged):
			return TargetSide
		}
	}
	return ""
}
