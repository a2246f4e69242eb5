import { createMobileClient, type MobileClient } from '@dianming/api/mobile'

/**
 * A client for the guardian whose link this is. The token of the link is in memory only: it is never stored, and the
 * address bar loses it at once, so that a screenshot or the history of a shared phone does not contain it.
 */
export function createGuardianClient(token: string, language: () => string): MobileClient {
  return createMobileClient({
    authorize: (request) => {
      request.headers.set('Authorization', `Guardian ${token}`)
      return Promise.resolve()
    },
    recover: () => Promise.resolve(false),
    language,
  })
}

/** The token in the fragment of a link, `#<token>`; undefined without one. */
export function readLinkToken(fragment: string): string | undefined {
  const token = fragment.replace(/^#/, '')
  return token === '' ? undefined : token
}
