"""Login with a browser at a company's own OpenID provider.

    flow      begin and finish, and what is checked between    code, PKCE S256, state, nonce
    ticket    what is remembered meanwhile, in a cookie        any node may finish
    grant     what a command line exchanges for its token      bound to its PKCE challenge
    seal      texts that only nodes of this cluster can make
    id_token  what a provider's answer has to prove
    pages     what people see, in English and in Chinese

Source: OpenID Connect Core 1.0, 3.1; RFC 6749, 4.1; RFC 7636; RFC 8252; RFC 9207; RFC 9700.
"""
