//! Connecting to where an environment's URL leads now, and what its row may say of that URL. Must not
//! know for how long a connection is kept, nor when it is made anew.

use super::Environment;
use crate::broker::url::BrokerUrl;
use crate::broker::{self, Broker};
use crate::config::UrlSource;
use crate::error::Result;
use std::sync::Arc;

/// What a row may say of an URL before anything is contacted: transport, and the URL without secrets.
pub(super) fn describe(source: &UrlSource) -> (Option<String>, Option<String>) {
    match source {
        UrlSource::Given(url) if url.expose().starts_with("replay:") => {
            (Some("replay".into()), Some(url.expose().into()))
        }
        UrlSource::Given(url) => match BrokerUrl::parse(url.expose()) {
            Ok(url) => (Some(url.transport().into()), Some(url.redacted())),
            Err(_) => (None, None),
        },
        UrlSource::Command(_) => (None, None),
    }
}

/// A new connection to where the URL leads now.
pub(super) async fn connect(environment: &Environment) -> Result<Arc<dyn Broker>> {
    if let Some(program) = environment.0.address.program() {
        environment.link().waiting_for = Some(program);
        environment.changed();
    }
    let url = environment.0.address.url().await;
    environment.link().waiting_for = None;
    let url = BrokerUrl::parse(url?.expose())?;
    {
        let mut link = environment.link();
        link.transport = Some(url.transport().into());
        link.url = Some(url.redacted());
    }
    let options = broker::Options::from_table(&environment.config().broker_transport_options)?;
    broker::connect(&url, &options).await
}
