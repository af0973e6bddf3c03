// Lists: what there is at one revision, in pages.

package apiserver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// A selection is which objects a list or a watch shows.
type selection struct {
	labels labels.Selector
	fields fields.Selector
}

func (s selection) matches(v *version) bool {
	return v != nil && s.labels.Matches(labels.Set(v.object.GetLabels())) &&
		s.fields.Matches(fields.Set{"metadata.name": v.object.GetName(), "metadata.namespace": v.object.GetNamespace()})
}

// everything reports that nothing was selected.
func (s selection) everything() bool { return s.labels.Empty() && s.fields.Empty() }

func selects(query url.Values) (selection, error) {
	var s selection
	var err error
	if s.labels, err = labels.Parse(query.Get("labelSelector")); err != nil {
		return s, apierrors.NewBadRequest(err.Error())
	}
	if s.fields, err = fields.ParseSelector(query.Get("fieldSelector")); err != nil {
		return s, apierrors.NewBadRequest(err.Error())
	}
	for _, r := range s.fields.Requirements() {
		if r.Field != "metadata.name" && r.Field != "metadata.namespace" {
			return s, apierrors.NewBadRequest("field label not supported: " + r.Field)
		}
	}
	return s, nil
}

// number reads a parameter that is one; "" is 0.
func number(query url.Values, name string) (int64, error) {
	text := query.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, apierrors.NewBadRequest(err.Error())
	}
	return n, nil
}

// A bookmark is where a list goes on, as the real server writes it.
type bookmark struct {
	Version  string `json:"v"`
	Revision int64  `json:"rv"`
	Start    string `json:"start"`
}

const bookmarkVersion = "meta.k8s.io/v1"

func (b bookmark) token() string { return base64.RawURLEncoding.EncodeToString(encode(b)) }

func readBookmark(token string) (b bookmark, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(raw, &b)
	}
	switch {
	case err != nil:
	case b.Version != bookmarkVersion:
		err = fmt.Errorf("server does not recognize this encoded version %q", b.Version)
	case b.Revision == 0:
		err = fmt.Errorf("incorrect encoded start resourceVersion")
	case b.Start == "":
		err = fmt.Errorf("encoded start key empty")
	}
	if err != nil {
		return b, apierrors.NewBadRequest("invalid continue token: continue key is not valid: " + err.Error())
	}
	return b, nil
}

// A page is what is asked for of a list.
type page struct {
	selection
	limit    int64
	revision int64  // what to show: the store as it was then
	start    string // shows what is not before it
}

func (s *Server) pageOf(req *request) (page, error) {
	if err := checkListVersion(req.query); err != nil {
		return page{}, err
	}
	chosen, err := selects(req.query)
	if err != nil {
		return page{}, err
	}
	limit, err := number(req.query, "limit")
	if err != nil {
		return page{}, err
	}
	p := page{selection: chosen, limit: limit, revision: s.store.revision}
	if token := req.query.Get("continue"); token != "" {
		return s.goOn(p, token, req.query.Get("resourceVersion"))
	}
	return s.since(p, req.query)
}

// goOn makes it the page that follows.
func (s *Server) goOn(p page, token, version string) (page, error) {
	b, err := readBookmark(token)
	if err != nil {
		return p, err
	}
	if version != "" && version != "0" {
		return p, apierrors.NewBadRequest("specifying resource version is not allowed when using continue")
	}
	p.start = b.Start
	if b.Revision > 0 {
		p.revision = b.Revision
	}
	if p.revision < s.store.compacted {
		err := apierrors.NewResourceExpired("The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.")
		err.ErrStatus.ListMeta.Continue = bookmark{bookmarkVersion, -1, b.Start}.token()
		return p, err
	}
	return p, nil
}

// checkListVersion is about parameters that do not go together.
func checkListVersion(query url.Values) error {
	version, match := query.Get("resourceVersion"), query.Get("resourceVersionMatch")
	invalid := func(e *field.Error) error {
		return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "ListOptions"}, "", field.ErrorList{e})
	}
	at := field.NewPath("resourceVersionMatch")
	switch {
	case match == "":
		return nil
	case version == "":
		return invalid(field.Forbidden(at, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
	case query.Get("continue") != "":
		return invalid(field.Forbidden(at, "resourceVersionMatch is forbidden when continue is provided"))
	case match != string(metav1.ResourceVersionMatchExact) && match != string(metav1.ResourceVersionMatchNotOlderThan):
		return invalid(field.NotSupported(at, match, []string{"Exact", "NotOlderThan", ""}))
	case match == string(metav1.ResourceVersionMatchExact) && version == "0":
		return invalid(field.Forbidden(at, `resourceVersionMatch "exact" is forbidden for resourceVersion "0"`))
	}
	return nil
}

// since is about the resourceVersion of a list, which the real server takes for
// an exact one only if it is told to, or where pages begin.
func (s *Server) since(p page, query url.Values) (page, error) {
	sent := query.Get("resourceVersion")
	if sent == "" {
		return p, nil
	}
	n, err := strconv.ParseUint(sent, 10, 63)
	if err != nil {
		return p, apierrors.NewBadRequest("invalid resource version: resourceVersion: Invalid value: " + strconv.Quote(sent) + ": " + err.Error())
	}
	at, match := int64(n), query.Get("resourceVersionMatch")
	if at > s.store.revision {
		return p, tooLarge(at, s.store.revision)
	}
	if match == string(metav1.ResourceVersionMatchExact) || match == "" && p.limit > 0 && at > 0 {
		if at < s.store.compacted {
			return p, apierrors.NewResourceExpired("The resourceVersion for the provided list is too old.")
		}
		p.revision = at
	}
	return p, nil
}

// tooLarge is the error of a resourceVersion that is yet to come.
func tooLarge(asked, now int64) error {
	err := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", asked, now), 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
	return err
}

func (s *Server) serveList(req *request) answer {
	p, err := s.pageOf(req)
	if err != nil {
		return bad(err)
	}
	all := s.store.list(req.kind.name, req.namespace, p.revision)
	if name, ok := p.fields.RequiresExactMatch("metadata.name"); ok && (req.kind.global || req.namespace != "") { // one object is read, and there is no next page
		all = slices.DeleteFunc(all, func(l listed) bool { return l.key.name != name })
	}
	from := 0
	if p.start != "" {
		from, _ = slices.BinarySearchFunc(all, p.start, func(l listed, start string) int { return strings.Compare(l.key.within(req), start) })
	}
	var items [][]byte
	meta := metav1.ListMeta{ResourceVersion: strconv.FormatInt(p.revision, 10)}
	for i, l := range all[from:] {
		if !p.matches(l.version) {
			continue
		}
		items = append(items, l.raw)
		if left := int64(len(all) - from - i - 1); p.limit > 0 && int64(len(items)) == p.limit && left > 0 {
			meta.Continue = bookmark{bookmarkVersion, p.revision, l.key.within(req) + "\x00"}.token()
			if p.everything() {
				meta.RemainingItemCount = &left
			}
			break
		}
	}
	return good(http.StatusOK, listBody(req.kind, meta, items))
}

// within is the part of a key that a list's path leaves open.
func (k key) within(req *request) string {
	if req.namespace == "" && !req.kind.global {
		return k.namespace + "/" + k.name
	}
	return k.name
}

func listBody(kind *kind, meta metav1.ListMeta, items [][]byte) []byte {
	return fmt.Appendf(nil, `{"kind":%q,"apiVersion":%q,"metadata":%s,"items":[%s]}`,
		kind.name+"List", kind.groupVersion(), encode(meta), bytes.Join(items, []byte(",")))
}
