// The crawl of `run`, with net/http and the tokenizer of golang.org/x/net/html, as a program of that kind is usually
// written: `crawl URL`. Prints the number of pages.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

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
				if strings.HasSuffix(target.Path, ".html") || strings.HasSuffix(target.Path, "/") {
					found = append(found, target.String())
				}
			}
		}
	}
}

func main() {
	start := os.Args[1]
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = fetches
	client := &http.Client{Transport: transport}

	var lock sync.Mutex
	seen := map[string]bool{start: true}
	pages := 0
	// As long as it has to be: what waits is bounded by the site.
	queue := make(chan string, 1<<20)
	var open sync.WaitGroup
	open.Add(1)
	queue <- start
	for i := 0; i < fetches; i++ {
		go func() {
			for address := range queue {
				base, _ := url.Parse(address)
				if response, err := client.Get(address); err == nil {
					found := links(base, response.Body)
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
					lock.Lock()
					if response.StatusCode == 200 {
						pages++
					}
					for _, link := range found {
						if !seen[link] {
							seen[link] = true
							open.Add(1)
							queue <- link
						}
					}
					lock.Unlock()
				}
				open.Done()
			}
		}()
	}
	open.Wait()
	fmt.Println(pages)
}
