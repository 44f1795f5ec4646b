// The crawl of `run`, with net/http and the tokenizer of golang.org/x/net/html, as a program of that kind is usually
// written, with the same work: robots.txt is followed, each page is a line of JSON, and a journal notes what was found
// and done before the line is written. `crawl URL OUTPUT JOURNAL`, which prints the number of pages.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/html"
)

const fetches = 64

func links(base *url.URL, body io.Reader) []string {
	var found []string
	tokens := html.NewTokenizer(body)
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return found
		case html.StartTagToken:
			name, more := tokens.TagName()
			if len(name) != 1 || name[0] != 'a' {
				continue
			}
			for more {
				var key, value []byte
				key, value, more = tokens.TagAttr()
				if string(key) != "href" {
					continue
				}
				target, err := base.Parse(string(value))
				if err != nil || target.Host != base.Host {
					continue
				}
				target.Fragment = ""
				if link := target.String(); strings.HasSuffix(link, ".html") || strings.HasSuffix(link, "/") {
					found = append(found, link)
				}
			}
		}
	}
}

// What robots.txt keeps everybody out of.
func disallowed(answer *http.Response) []string {
	var found []string
	if answer.StatusCode != 200 {
		return found
	}
	everybody := false
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "user-agent":
			everybody = value == "*"
		case "disallow":
			if everybody && value != "" {
				found = append(found, value)
			}
		}
	}
	return found
}

func startsWithAny(path string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

type record struct {
	URL           string  `json:"url"`
	Status        int     `json:"status"`
	ContentLength int64   `json:"content_length"`
	ElapsedMs     float64 `json:"elapsed_ms"`
	Error         *string `json:"error"`
	Depth         int     `json:"depth"`
	Referrer      *string `json:"referrer"`
	Redirect      *string `json:"redirect"`
}

type job struct {
	address  string
	depth    int
	referrer *string
}

type counted struct {
	io.Reader
	bytes int64
}

func (reader *counted) Read(into []byte) (int, error) {
	read, err := reader.Reader.Read(into)
	reader.bytes += int64(read)
	return read, err
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	start := os.Args[1]
	output, err := os.Create(os.Args[2])
	check(err)
	lines := bufio.NewWriterSize(output, 64<<10)
	journal, err := os.Create(os.Args[3])
	check(err)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = fetches
	client := &http.Client{Transport: transport}
	answer, err := client.Get(start + "robots.txt")
	check(err)
	forbidden := disallowed(answer)
	answer.Body.Close()

	var lock sync.Mutex
	seen := map[string]bool{start: true}
	pages := 0
	// As long as it has to be: what waits is bounded by the site.
	queue := make(chan job, 1<<20)
	var open sync.WaitGroup
	open.Add(1)
	queue <- job{address: start}
	for i := 0; i < fetches; i++ {
		go func() {
			for page := range queue {
				base, _ := url.Parse(page.address)
				begun := time.Now()
				found := record{URL: page.address, Depth: page.depth, Referrer: page.referrer}
				var targets []string
				if response, err := client.Get(page.address); err == nil {
					body := &counted{Reader: response.Body}
					targets = links(base, body)
					io.Copy(io.Discard, body)
					response.Body.Close()
					found.Status, found.ContentLength = response.StatusCode, body.bytes
				} else {
					text := err.Error()
					found.Error = &text
				}
				found.ElapsedMs = float64(time.Since(begun).Microseconds()) / 1000
				line, err := json.Marshal(found)
				check(err)
				var note bytes.Buffer
				from := page.address
				lock.Lock()
				if found.Status == 200 {
					pages++
				}
				for _, link := range targets {
					if seen[link] {
						continue
					}
					seen[link] = true
					if target, err := url.Parse(link); err != nil || startsWithAny(target.Path, forbidden) {
						continue
					}
					fmt.Fprintf(&note, "Q\t%s\t%d\t%s\n", link, page.depth+1, from)
					open.Add(1)
					queue <- job{link, page.depth + 1, &from}
				}
				note.WriteString("D\t")
				note.Write(line)
				note.WriteByte('\n')
				_, err = journal.Write(note.Bytes())
				check(err)
				lines.Write(line)
				lines.WriteByte('\n')
				lock.Unlock()
				open.Done()
			}
		}()
	}
	open.Wait()
	check(lines.Flush())
	fmt.Println(pages)
}
