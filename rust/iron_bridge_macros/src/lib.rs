//! The guard around every entry of the native module.

use proc_macro::TokenStream;
use quote::quote;
use syn::{Block, ImplItem, Item, ReturnType, Signature, Type, parse_quote};

/// What the garbage collector calls, where no exception may be raised.
const COLLECTOR: [&str; 2] = ["__traverse__", "__clear__"];

/// Make a panic in the function, or in any method of the block, an `InternalError`.
///
/// It stands above `#[pymethods]` or `#[pyfunction]`, so that what those see is a function that returns a `PyResult`
/// and never unwinds; `PyO3` itself would raise a `PanicException`, which no `except Exception` catches.
#[proc_macro_attribute]
pub fn guarded(_: TokenStream, item: TokenStream) -> TokenStream {
    let mut item = syn::parse_macro_input!(item as Item);
    match &mut item {
        Item::Fn(function) => guard(&mut function.sig, &mut function.block),
        Item::Impl(block) => {
            for entry in &mut block.items {
                if let ImplItem::Fn(method) = entry
                    && !COLLECTOR.iter().any(|name| method.sig.ident == name)
                {
                    guard(&mut method.sig, &mut method.block);
                }
            }
        }
        _ => return quote!(compile_error!("#[guarded] stands above a function or an impl block");).into(),
    }
    quote!(#item).into()
}

fn guard(signature: &mut Signature, body: &mut Block) {
    let output: Type = match &signature.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, output) => (**output).clone(),
    };
    if is_result(&output) {
        *body = parse_quote!({ crate::guard::run(move || -> #output { #body }) });
    } else {
        signature.output = parse_quote!(-> ::pyo3::PyResult<#output>);
        *body = parse_quote!({
            let work = move || -> #output { #body };
            crate::guard::run(move || Ok(work()))
        });
    }
}

fn is_result(output: &Type) -> bool {
    let Type::Path(path) = output else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "PyResult")
}
