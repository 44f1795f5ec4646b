//! The page.

use std::fmt::Write;

use super::chart::{self, Bar, number};
use super::statistics::Statistics;
use crate::Summary;
use crate::summary::Size;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2733;--soft:#66788a;--paper:#fff;--line:#d9e0e7;--mark:#2f6fb3;--area:#2f6fb326}\
@media(prefers-color-scheme:dark){:root{--ink:#e4ebf2;--soft:#92a3b5;--paper:#12181f;--line:#2c3742;--mark:#6aa9e9;\
--area:#6aa9e926}}\
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1100px;margin:2rem auto;\
padding:0 1rem}h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:0 0 .5rem}p.sub{color:var(--soft);margin:.2rem 0 \
1.5rem}.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:.8rem;margin-bottom:1.5rem}\
.tile{border:1px solid var(--line);border-radius:8px;padding:.6rem .8rem}.tile b{display:block;font-size:1.35rem;\
font-variant-numeric:tabular-nums}.tile span{color:var(--soft);font-size:.85rem}.grid2{display:grid;gap:1.5rem;\
grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr))}section{min-width:0}svg{width:100%;height:auto}\
svg text{fill:var(--soft);font-size:12px}.grid{stroke:var(--line)}.bar{fill:var(--mark)}.line{fill:none;stroke:var(--mark);\
stroke-width:2}.area{fill:var(--area)}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
td,th{text-align:left;padding:.25rem .5rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}\
td.n,th.n{text-align:right;white-space:nowrap}td.u{word-break:break-all}a{color:var(--mark)}";

impl Statistics {
    /// The report: one page of HTML with its style and charts inside.
    #[must_use]
    pub fn html(&self, summary: &Summary) -> String {
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>Crawl report</title><style>{STYLE}</style></head><body>\n<h1>Crawl report</h1>\n\
             <p class=\"sub\">heist-crawl {}: {}, after {:.1} s</p>\n",
            env!("CARGO_PKG_VERSION"),
            summary.end().describe(),
            summary.elapsed().as_secs_f64(),
        );
        self.tiles(summary, &mut page);
        page.push_str("<div class=\"grid2\">\n");
        self.charts(summary, &mut page);
        self.tables(summary, &mut page);
        page.push_str("</div>\n</body></html>\n");
        page
    }

    fn tiles(&self, summary: &Summary, page: &mut String) {
        let milliseconds = |part| format!("{} ms", number(self.quantile(part)));
        page.push_str("<div class=\"tiles\">");
        for (value, name) in [
            (summary.pages().to_string(), "pages"),
            (summary.failed().to_string(), "errors"),
            (number(summary.pages_per_second()), "pages/s"),
            (Size(summary.bytes() as f64).to_string(), "bytes"),
            (milliseconds(0.5), "median time of a page"),
            (milliseconds(0.99), "99th percentile"),
        ] {
            let _ = write!(
                page,
                "<div class=\"tile\"><b>{}</b><span>{name}</span></div>",
                escape(&value)
            );
        }
        page.push_str("</div>\n");
    }

    fn charts(&self, summary: &Summary, page: &mut String) {
        let seconds = self.span.as_secs_f64();
        let rates: Vec<_> = self
            .points
            .iter()
            .map(|point| point.0 as f64 / seconds)
            .collect();
        let end = format!("{:.1} s", seconds * self.points.len() as f64);
        section(
            page,
            "Throughput, pages/s",
            &chart::line("pages per second over time", &rates, &end),
        );

        let statuses: Vec<_> = (1..6)
            .map(|class| (format!("{class}xx"), summary.status_class(class)))
            .chain([("other".to_owned(), summary.status_class(0))])
            .chain(
                summary
                    .errors()
                    .iter()
                    .map(|(kind, &count)| (kind.to_string(), count)),
            )
            .filter(|(_, count)| *count > 0)
            .map(|(label, count)| bar(label, count))
            .collect();
        section(
            page,
            "Status classes and errors",
            &chart::bars("pages by status class and error", &statuses),
        );

        let latencies: Vec<_> = self
            .latencies()
            .into_iter()
            .map(|(upper, count)| bar(format!("{} ms", number(upper)), count))
            .collect();
        section(
            page,
            "Time of a page",
            &chart::bars("pages by the time they took", &latencies),
        );

        let depths: Vec<_> = self
            .depths
            .iter()
            .map(|(depth, &count)| bar(depth.to_string(), count))
            .collect();
        section(
            page,
            "Depth",
            &chart::bars("pages by links from a seed", &depths),
        );
    }

    fn tables(&self, summary: &Summary, page: &mut String) {
        let largest = self
            .largest()
            .into_iter()
            .map(|(bytes, url)| (Size(bytes as f64).to_string(), url));
        section(page, "Largest pages", &pages("size", largest));
        let slowest = self.slowest().into_iter();
        let slowest =
            slowest.map(|(micros, url)| (format!("{} ms", number(micros as f64 / 1000.0)), url));
        section(page, "Slowest pages", &pages("time", slowest));

        let mut table = String::from(
            "<table><tr><th>host</th><th class=\"n\">pages</th><th class=\"n\">errors</th>\
             <th class=\"n\">bytes</th><th class=\"n\">mean</th></tr>",
        );
        for (name, host) in self.slowest_hosts(10) {
            let _ = write!(
                table,
                "<tr><td class=\"u\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{} ms</td></tr>",
                escape(name),
                host.pages,
                host.errors,
                Size(host.bytes as f64),
                number(host.total_ms / host.pages as f64),
            );
        }
        section(page, "Slowest hosts", &(table + "</table>"));
        let text = escape(&summary.to_string());
        section(page, "Summary", &format!("<pre>{text}</pre>"));
    }
}

fn bar(label: String, count: u64) -> Bar {
    let title = format!("{label}: {count}");
    Bar {
        label,
        value: count as f64,
        title,
    }
}

fn section(page: &mut String, title: &str, content: &str) {
    let _ = writeln!(page, "<section><h2>{title}</h2>{content}</section>");
}

/// A list of pages. The addresses come from strangers, but only `http` and `https` ones are among them.
fn pages<'u>(head: &str, rows: impl Iterator<Item = (String, &'u str)>) -> String {
    let mut table = format!("<table><tr><th class=\"n\">{head}</th><th>page</th></tr>");
    for (value, url) in rows {
        let url = escape(url);
        let _ = write!(
            table,
            "<tr><td class=\"n\">{}</td><td class=\"u\"><a rel=\"noreferrer\" href=\"{url}\">{url}</a></td></tr>",
            escape(&value),
        );
    }
    table + "</table>"
}

/// Text that is nothing but text, also in an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::statistics::tests::record;

    #[test]
    fn the_page_is_whole_and_nothing_in_it_is_from_strangers() {
        let (mut statistics, mut summary) = (Statistics::new(), Summary::new());
        for number in 0..500 {
            statistics.add(&record(number), Duration::from_millis(number * 7));
            summary.add(&record(number));
        }
        for page in [
            statistics.html(&summary),
            Statistics::new().html(&Summary::new()),
        ] {
            assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
            assert_eq!(page.matches("<svg").count(), 4);
            assert_eq!(
                page.matches("<section>").count(),
                page.matches("</section>").count()
            );
            assert!(!page.contains("?<&"), "an address is not escaped");
            // Self-contained: no script, nothing that is loaded.
            assert!(
                !page.contains("<script") && !page.contains("src=") && !page.contains("@import")
            );
        }
    }
}
