import { content } from '@dianming/api'
import { useQuery } from '@tanstack/vue-query'

import { useSession } from '../stores/session.ts'

const POLL_MS = 1500

/** The state of the enrolled face or the portrait; asked again while the pictures are judged. */
export function usePictureState(path: '/v1/me/face' | '/v1/me/portrait') {
  const { api } = useSession()
  return useQuery({
    queryKey: [path],
    queryFn: ({ signal }) => content(api.GET(path, { signal })),
    refetchInterval: ({ state }) => (state.data?.state === 'pending' ? POLL_MS : false),
  })
}
