import { content } from '@dianming/api'
import { useBilingual, useSession } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'

/** The catalogue of justified reasons in force today. */
export function useJustifiedReasons() {
  const { api } = useSession()
  const { say } = useBilingual()
  const query = useQuery({
    queryKey: ['justified-reasons'],
    queryFn: ({ signal }) => content(api.GET('/v1/justified-reasons', { signal })),
    staleTime: 3_600_000,
  })

  /** The reason in words; the code if the catalogue has it no longer. */
  function nameOf(code: string): string {
    const found = query.data.value?.find((each) => each.code === code)
    return found ? say(found) : code
  }

  return { nameOf }
}
