import { content } from '@dianming/api'
import { useBilingual, useSession } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'

/** The kinds of change by code, as the policy in force names them. */
export function useChangeKinds() {
  const { api } = useSession()
  const { say } = useBilingual()
  const kinds = useQuery({
    queryKey: ['change-kinds'],
    queryFn: ({ signal }) => content(api.GET('/v1/change-kinds', { signal })),
    staleTime: Infinity,
  })

  function nameOf(code: string): string {
    const kind = kinds.data.value?.find((each) => each.code === code)
    return kind ? say(kind) : code
  }

  return { kinds: kinds.data, nameOf }
}
