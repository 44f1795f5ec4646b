//! The report of a crawl: one page of HTML that needs nothing else.
//!
//! | module | what it does |
//! |---|---|
//! | `statistics` | what is gathered while records come |
//! | `chart` | bars and lines as SVG |
//! | `html` | the page |

mod statistics;
mod chart;
mod html;

pub use self::statistics::Statistics;
