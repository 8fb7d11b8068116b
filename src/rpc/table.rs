//! The method table: what makes a namespace's file read as its table of contents.

use super::call::Call;
use super::discover::Described;
use super::feed::{self, Live};
use super::params;
use crate::environment::Environments;
use crate::error::Result;
use crate::server::Written;
use jsonrpsee::RpcModule;
use jsonrpsee::core::RpcResult;
use jsonrpsee::core::server::{Methods, PendingSubscriptionSink};
use jsonrpsee::types::ErrorObjectOwned;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A name that is registered and at once removed.
const NEVER_CALLED: &str = "$/unsubscribe";

/// The methods registered so far.
pub(super) struct Table {
    module: RpcModule<Arc<Environments>>,
    described: Vec<Described>,
}

impl Table {
    pub fn new(environments: Arc<Environments>) -> Self {
        Table { module: RpcModule::new(environments), described: Vec::new() }
    }

    /// Registers a method. `summary` is its line in the document, `leading` are the required parameters, which may come by position.
    pub fn method<P, R, F>(
        &mut self,
        name: &'static str,
        summary: &'static str,
        leading: &'static [&'static str],
        handler: impl Fn(P, Call) -> F + Clone + Send + Sync + 'static,
    ) where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Clone + Send + 'static,
        F: Future<Output = Result<R>> + Send + 'static,
    {
        let registered = self
            .module
            .register_async_method(name, move |params, environments, extensions| {
                let handler = handler.clone();
                let call = Call::of(&environments, &extensions);
                let params = params::read::<P>(&params, leading);
                async move {
                    let answer: RpcResult<R> = match params {
                        Ok(params) => handler(params, call).await.map_err(ErrorObjectOwned::from),
                        Err(error) => Err(error.into()),
                    };
                    answer
                }
            })
            .map(drop);
        self.registered(Described::method::<P, R>(name, summary, leading), registered);
    }

    /// Registers a feed: `subscribe` answers the subscription's number, then `changed` flows until
    /// the noun's `unsubscribe`, which ends any feed by its number and so is registered once.
    /// `make` turns the parameters into what is shown.
    pub fn feed<P, N, F>(
        &mut self,
        subscribe: &'static str,
        summary: &'static str,
        changed: &'static str,
        unsubscribe: Option<&'static str>,
        leading: &'static [&'static str],
        make: impl Fn(P, Call) -> F + Clone + Send + Sync + 'static,
    ) where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        N: JsonSchema + 'static,
        F: Future<Output = Result<Live<N>>> + Send + 'static,
    {
        let registered = self.module.register_subscription(
            subscribe,
            changed,
            unsubscribe.unwrap_or(NEVER_CALLED),
            move |params, pending: PendingSubscriptionSink, environments, extensions| {
                let make = make.clone();
                let call = Call::of(&environments, &extensions);
                let written = Written::of(&extensions);
                let params = params::read::<P>(&params, leading);
                async move {
                    let session = Arc::clone(&call.session);
                    let made = match params {
                        Ok(params) => make(params, call).await,
                        Err(error) => Err(error),
                    };
                    match made {
                        Ok(Live(feed, _)) => {
                            if let Ok(sink) = pending.accept().await {
                                feed::run(feed, &sink, written, &session).await;
                            }
                        }
                        Err(error) => pending.reject(error).await,
                    }
                }
            },
        );
        let registered = registered.map(drop);
        let described = Described::feed::<P, N>(subscribe, summary, leading, changed);
        self.registered(described, registered);
        match unsubscribe {
            Some(name) => self.described.push(Described::unsubscribe(name)),
            // jsonrpsee wants one for each; this one is nobody's.
            None => drop(self.module.remove_method(NEVER_CALLED)),
        }
    }

    /// The names of all that is registered, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.described.iter().map(|method| method.name).collect()
    }

    /// What `rpc.discover` tells of them.
    pub fn described(&self) -> Vec<Described> {
        self.described.clone()
    }

    pub fn methods(self) -> Methods {
        self.module.into()
    }

    fn registered(&mut self, described: Described, outcome: Result<(), impl std::fmt::Display>) {
        let name = described.name;
        match outcome {
            Ok(()) => self.described.push(described),
            // Two methods of one name: the second would silently never be called.
            Err(error) => tracing::error!(name, %error, "a method could not be registered"),
        }
    }
}
