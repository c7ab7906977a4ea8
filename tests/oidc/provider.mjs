// An identity provider for the tests: whoever is named as login hint is logged in, without a password.
import http from 'node:http'
import { Provider } from 'oidc-provider'

/** Starts it on loopback. `people` maps a name to its claims and may be changed while it runs. */
export async function startProvider(port, redirectUri, people) {
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{ client_id: 'millrace', client_secret: 'the client secret', redirect_uris: [redirectUri], grant_types: ['authorization_code'], response_types: ['code'], application_type: 'native' }],
    pkce: { required: () => true },
    claims: { openid: ['sub'], profile: ['preferred_username', 'name'], email: ['email'], groups: ['groups'] },
    scopes: ['openid', 'profile', 'email', 'groups'],
    // As providers do by default: what the scopes give is told at the user info address, not in the token.
    conformIdTokenClaims: true,
    features: { devInteractions: { enabled: false } },
    findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: `id-of-${id}`, ...people[id] }) },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    cookies: { keys: ['key of the tests'] },
  })
  provider.on('server_error', (_, error) => console.error(error))
  const answer = provider.callback()
  const server = http.createServer(async (request, response) => {
    if (!request.url.startsWith('/interaction/')) return answer(request, response)
    const { params, prompt, session } = await provider.interactionDetails(request, response)
    if (prompt.name === 'login') {
      const account = new URL(request.url, 'http://x').searchParams.get('user')
      if (!people[account]) return response.end(Object.keys(people).map((name) => `<p><a href="${request.url}?user=${name}">${name}</a></p>`).join(''))
      return provider.interactionFinished(request, response, { login: { accountId: account } })
    }
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
    grant.addOIDCScope(params.scope)
    await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } })
  })
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening))
  return server
}
