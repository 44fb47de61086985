package activities

import (
	"hash/maphash"
	"slices"
)

// idSet holds millions of ids in eight bytes each. Two ids of a million share a
// hash once in 37 million runs; the seed is another one each time.
type idSet struct {
	seed   maphash.Seed
	hashes []uint64
}

func (s *idSet) hash(id string) uint64 {
	if s.seed == (maphash.Seed{}) {
		s.seed = maphash.MakeSeed()
	}
	return maphash.String(s.seed, id)
}

func (s *idSet) add(id string) { s.hashes = append(s.hashes, s.hash(id)) }

// sort must come between the last add and the first has.
func (s *idSet) sort() {
	slices.Sort(s.hashes)
	s.hashes = slices.Compact(s.hashes)
}

func (s *idSet) has(id string) bool {
	_, found := slices.BinarySearch(s.hashes, s.hash(id))
	return found
}

func (s *idSet) size() int64 { return int64(len(s.hashes)) }
