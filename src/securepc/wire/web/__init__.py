"""The web filter's shipped data (`sites.toml`, `resolvers.toml`; `lists` reads them) and what its rules mean
(`rules`): docs/formats/web.md."""
