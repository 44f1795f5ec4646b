//! What a client's builder has to say about codings.

use crate::http::ClientBuilder;

/// A pair of methods for each coding, in reqwest's names.
macro_rules! coding {
    ($feature:literal, $name:ident, $no:ident, $field:ident, $what:literal) => {
        #[doc = concat!("Whether ", $what, " is asked for, and removed from bodies. Default: true with the feature `", $feature, "`.")]
        #[cfg(feature = $feature)]
        pub fn $name(mut self, enable: bool) -> Self {
            self.codings.$field = enable;
            self
        }

        #[doc = concat!("Neither asks for ", $what, " nor removes it, whatever is compiled in.")]
        pub fn $no(mut self) -> Self {
            self.codings.$field = false;
            self
        }
    };
}

/// Content codings. Those that are compiled in are asked for (`Accept-Encoding`, unless the request has one of
/// its own or asks for a range) and removed as the body is read; the response then has no `Content-Length`
/// and no `Content-Encoding`.
impl ClientBuilder {
    coding!("gzip", gzip, no_gzip, gzip, "`gzip`");
    coding!("brotli", brotli, no_brotli, brotli, "`br`");
    coding!("zstd", zstd, no_zstd, zstd, "`zstd`");
    coding!("deflate", deflate, no_deflate, deflate, "`deflate`");

    /// How many bytes of a decoded body there may be for each byte that was received, once there are more
    /// than a mebibyte; `None` for any number. Default: 1000, which a page never reaches and every bomb does.
    /// [`max_response_size`](Self::max_response_size) holds for decoded bodies as well.
    pub fn max_decompression_ratio(mut self, limit: impl Into<Option<u32>>) -> Self {
        self.ratio = limit.into();
        self
    }
}
