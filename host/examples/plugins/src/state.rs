//! What a plugin's store holds. Its HTTP is wasmtime's `wasi:http`, with the authorization added on the way out.

use moat::{Authorization, Scope};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx,
    WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

/// What it is granted, and the state of its HTTP.
pub(crate) struct State {
    scope: Scope,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    hooks: Hooks,
}

impl State {
    pub(crate) fn new(scope: Scope, authorizations: Vec<Authorization>) -> Self {
        Self {
            scope,
            // No files, no environment, no arguments, no output.
            wasi: WasiCtx::builder().build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            hooks: Hooks { authorizations },
        }
    }

    pub(crate) fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

struct Hooks {
    authorizations: Vec<Authorization>,
}

/// What becomes of a request: the response with its body, and what goes on beside it.
type Sent = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Hooks {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        std::sync::Arc::new(|name| {
            *name == http::header::AUTHORIZATION || DEFAULT_FORBIDDEN_HEADERS.contains(name)
        })
    }

    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let mut authorizations = self.authorizations.iter();
        let outcome = authorizations.try_for_each(|one| one.apply(&mut request).map(drop));
        Box::new(async move {
            // The plugin gets to know that it failed; why is the host's to know.
            outcome.map_err(|_| Error::HttpRequestDenied)?;
            let (response, rest) =
                wasmtime_wasi_http::default_send_request(request, options).await?;
            let response = response.map(http_body_util::BodyExt::boxed_unsync);
            Ok((response, Box::new(rest) as Box<dyn Future<Output = _> + Send>))
        })
    }
}
