// Package digest makes one number of a whole structure, so that two states of a
// simulation can be told to be the same.
package digest

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"reflect"
	"slices"
	"sync"
	"time"
)

// Of returns a number that, within one process, is the same for values that are the
// same all the way down, unexported fields and what pointers lead to included.
// Times count by how far they are from now. Functions, channels and interfaces are
// left out, and so is a field that is tagged `digest:"-"`.
func Of(now time.Time, values ...any) uint64 {
	w := walker{now: now}
	w.hash.SetSeed(seed)
	for _, v := range values {
		w.walk(reflect.ValueOf(v))
	}
	return w.hash.Sum64()
}

var seed = maphash.MakeSeed()

type walker struct {
	hash maphash.Hash
	now  time.Time
	path []uintptr // the pointers that led here: a structure may point back
	buf  [8]byte
}

func (w *walker) number(n uint64) {
	binary.LittleEndian.PutUint64(w.buf[:], n)
	_, _ = w.hash.Write(w.buf[:]) // a hash does not fail
}

func (w *walker) text(s string) {
	w.number(uint64(len(s)))
	_, _ = w.hash.WriteString(s)
}

var timeType = reflect.TypeFor[time.Time]()

func (w *walker) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			w.number(1)
			return
		}
		w.number(0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		w.number(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		w.number(v.Uint())
	case reflect.Float32, reflect.Float64:
		w.number(uint64(int64(v.Float() * 1e9)))
	case reflect.String:
		w.text(v.String())
	case reflect.Slice, reflect.Array:
		w.number(uint64(v.Len()))
		for i := range v.Len() {
			w.walk(v.Index(i))
		}
	case reflect.Map:
		w.dictionary(v)
	case reflect.Pointer:
		w.pointer(v)
	case reflect.Struct:
		w.structure(v)
	}
}

// dictionary walks a map in the order of its keys, which must be strings or
// integers.
func (w *walker) dictionary(v reflect.Value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		if a.Kind() == reflect.String {
			return cmp.Compare(a.String(), b.String())
		}
		return cmp.Compare(a.Int(), b.Int())
	})
	w.number(uint64(len(keys)))
	for _, key := range keys {
		w.walk(key)
		w.walk(v.MapIndex(key))
	}
}

func (w *walker) pointer(v reflect.Value) {
	at := v.Pointer()
	switch {
	case v.IsNil():
		w.number(0)
		return
	case slices.Contains(w.path, at):
		w.number(2)
		return
	}
	w.number(1)
	w.path = append(w.path, at)
	w.walk(v.Elem())
	w.path = w.path[:len(w.path)-1]
}

func (w *walker) structure(v reflect.Value) {
	if v.Type() == timeType {
		w.instant(v)
		return
	}
	for _, i := range counted(v.Type()) {
		w.walk(v.Field(i))
	}
}

var known sync.Map // of each type of structure, which fields count: to ask for their tags takes longer than to walk them

func counted(t reflect.Type) []int {
	if fields, ok := known.Load(t); ok {
		return fields.([]int)
	}
	var fields []int
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("digest") != "-" {
			fields = append(fields, i)
		}
	}
	known.Store(t, fields)
	return fields
}

// instant reads a time.Time, whose fields may not be taken out of an unexported
// field otherwise: nanoseconds, and seconds since the year 1.
func (w *walker) instant(v reflect.Value) {
	const secondsFrom1To1970 = 62135596800
	wall, seconds := v.Field(0).Uint(), v.Field(1).Int()
	if wall == 0 && seconds == 0 {
		w.number(0)
		return
	}
	t := time.Unix(seconds-secondsFrom1To1970, int64(wall&(1<<30-1)))
	w.number(uint64(t.Sub(w.now)) | 1)
}
