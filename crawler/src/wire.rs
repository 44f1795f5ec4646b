//! The way out: the client, and what the user has put around it.

use heist::net::http::{Client, Response};

use crate::Failure;

#[cfg(feature = "tower")]
pub use self::layers::{BoxError, FetchService};
#[cfg(feature = "tower")]
pub(crate) use self::layers::{Wrap, wrap};

/// Sends the requests of a crawl.
pub(crate) struct Wire {
    client: Client,
    #[cfg(feature = "tower")]
    service: Option<FetchService>,
}

impl Wire {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            #[cfg(feature = "tower")]
            service: None,
        }
    }

    /// Asks for an address. `accept` is a header, if there is to be one.
    pub(crate) async fn get(&self, url: &str, accept: Option<&str>) -> Result<Response, Failure> {
        let mut request = self.client.get(url);
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        #[cfg(feature = "tower")]
        if let Some(service) = &self.service {
            let request = request.build().map_err(|error| Failure::from(&error))?;
            return layers::call(service.clone(), request).await;
        }
        request.send().await.map_err(|error| Failure::from(&error))
    }
}

#[cfg(feature = "tower")]
mod layers {
    use heist::net::http::{Error, Request, Response};
    use tower::util::{BoxCloneSyncService, ServiceExt};
    use tower::{Layer, Service};

    use super::Wire;
    use crate::{Failure, FailureKind};

    /// Any error, as the layers of tower have it.
    pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

    /// What a layer of [`CrawlerBuilder::layer`](crate::CrawlerBuilder::layer) goes around: a request for a page, or
    /// for a `robots.txt`, becomes a response whose body is still to come.
    pub type FetchService = BoxCloneSyncService<Request, Response, BoxError>;

    /// A layer, in the hands of whoever makes the crawl.
    pub(crate) type Wrap = Box<dyn FnOnce(FetchService) -> FetchService + Send>;

    /// A layer as a function.
    pub(crate) fn wrap<L>(layer: L) -> Wrap
    where
        L: Layer<FetchService> + Send + 'static,
        L::Service: Service<Request, Response = Response> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Error: Into<BoxError>,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        Box::new(move |inner| {
            let to_box: fn(<L::Service as Service<Request>>::Error) -> BoxError = Into::into;
            BoxCloneSyncService::new(layer.layer(inner).map_err(to_box))
        })
    }

    impl Wire {
        /// Puts layers around the client; the first one is the outermost.
        pub(crate) fn layered(mut self, layers: Vec<Wrap>) -> Self {
            if !layers.is_empty() {
                let client = self
                    .client
                    .clone()
                    .map_err(|error| Box::new(error) as BoxError);
                let client = BoxCloneSyncService::new(client);
                let service = layers
                    .into_iter()
                    .rev()
                    .fold(client, |inner, wrap| wrap(inner));
                self.service = Some(service);
            }
            self
        }
    }

    /// Runs a request. What a layer fails with is the failure of the page.
    pub(super) async fn call(service: FetchService, request: Request) -> Result<Response, Failure> {
        service
            .oneshot(request)
            .await
            .map_err(|error| match error.downcast_ref::<Error>() {
                Some(error) => Failure::from(error),
                None => Failure::new(FailureKind::Request, error.to_string()),
            })
    }
}
