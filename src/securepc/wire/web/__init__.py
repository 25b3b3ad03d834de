"""The web filter's shipped data (`sites.toml`, `resolvers.toml`; `lists` reads them), what its rules mean
(`rules`), and the messages it looks at (`dns`, `greeting`): docs/formats/web.md.

`rules`, `dns` and `greeting` import nothing outside the standard library: the filter's own process stays
small.
"""
